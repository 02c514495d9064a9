"""What shards are and how they are written and checked: the public names stand in
`cham_keras.data`.

    shard_schema.py, manifest.py   the form
    clip_record.py, stored_features.py  a clip as a record
    shards.py               writes clips from anywhere, whole or not at all
    shard_folder.py, journal.py, tfrecord_file.py  shards in the making, to be continued
    remote_shards.py        to storage behind a URL
    verify.py, record_check.py  `cham verify`
"""
