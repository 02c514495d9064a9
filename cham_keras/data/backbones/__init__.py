"""Networks that turn frames into features: the public names stand in `cham_keras.data`.

backbones.py     by name, and again from what a manifest says
applications.py  those of `keras.applications`
own_models.py    a `.keras` file or a SavedModel
filter_bank.py   needs no weights
feature_grid.py  where in a frame the cells of features lie
backbone_spec.py what is stored of them
"""
