"""What brings the data of other stores along: a module for each, and the verb ``import`` over them."""
