"""How good a result is: numbers that compare it with a recording."""
