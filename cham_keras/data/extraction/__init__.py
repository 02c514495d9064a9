"""From videos to shards: the public names stand in `cham_keras.data`.

extraction.py  on this machine; continues what was killed
decoding.py    frames ahead, from several threads
in_order.py    writing while the backbone computes
beam/          on many machines
"""
