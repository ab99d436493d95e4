"""The population game of a ReLU discriminator: a linear program over measures, by columns and cuts (MATH 4)."""
