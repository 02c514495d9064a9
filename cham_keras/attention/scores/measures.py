"""What is measured of attention, and what it is held against: the names in tables and files."""

#: The ways to look that a measure is taken of, in the order of tables.
MODEL = "model"
MEAN_MAP = "its mean map"
CENTRE = "centre"
UNIFORM = "uniform"
CHANCE = "random order"
SHUFFLED = "shuffled weights"
SHUFFLED_ATTENTION = "shuffled attention"

#: The measures, in the order of tables, and what is good of each.
POINTING = "pointing game"
IN_BOXES = "attention in boxes"
INSERTION = "insertion"
DELETION = "deletion"
ENTROPY = "entropy"
CORRELATION = "rank correlation"
MEASURES = {
    POINTING: "share of frames whose most attended cell meets a box; higher is better",
    IN_BOXES: "share of the attention that lies inside the boxes; higher is better",
    INSERTION: "area under the probability as attended cells come; higher is better",
    DELETION: "area under the probability as attended cells go; lower is better",
    ENTROPY: "1 for uniform attention, 0 for a single cell",
    CORRELATION: "with the model's maps: 1 for the same order of cells; should be near 0",
}
