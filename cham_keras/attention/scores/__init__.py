"""How good attention is, in numbers with intervals: `cham_keras.attention` has the public names.

score_attention.py    all of it for a run and the clips of a split
boxes_of_clips.py     which boxes lie in the frames that a model sees
boxes_on_cells.py     how much of each cell lies in boxes
in_boxes.py           pointing game and share of attention in boxes
removal.py            insertion and deletion curves
spread.py             entropy, and how alike two maps are
shuffled_weights.py   a model whose weights say nothing
measures.py           the names of all that
attention_scores.py   what comes out, and its files
score_plots.py        the same as a picture
"""
