"""Trained models that come with speechkit: each folder here is one, and its name is the model's.

`speechkit models make RUN FOLDER` writes such a folder. Nothing of this package is imported.
"""
