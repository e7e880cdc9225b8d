"""Training: the loop, its schedule, augmentation, averaging and checkpoints."""
