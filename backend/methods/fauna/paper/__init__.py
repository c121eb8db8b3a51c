"""The `paper` preset: 3D-Fauna's own recipe, trained from images and masks alone (arXiv 2401.02400).

Read in this order: config, pictures, surface, viewpoint, skinning, model, draw, objective, discriminator, score, train.
"""
