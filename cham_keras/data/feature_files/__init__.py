"""Features that were computed elsewhere: HDF5 files in two layouts become shards."""

from cham_keras.data.feature_files.import_hdf5 import import_hdf5

__all__ = ["import_hdf5"]
