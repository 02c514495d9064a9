"""From shards to batches: the public names stand in `cham_keras.data`.

clip_dataset.py         what training and evaluation call
random_access_clips.py  only the chosen frames are read, where a store allows it
sequential_clips.py     records in order, with their checksums, everywhere else
frame_dataset.py        the same from videos, as frames; frame_clips.py: decoded when wanted
frame_counts.py, frame_augmentation.py   how many frames a clip has, and what part of them shows
shard_reader.py         what there is in a split
epochs.py, frame_choice.py, frame_sampling.py, stateless_random.py  which clips and frames, when
shard_file.py, shard_index.py, example_layout.py                    where frames lie in a file
frame_reader.py, batch_memory.py, half_floats.py                    bytes into a batch
record_parsing.py       a record as tensors
"""
