"""What is measured of a run, each kind a value of one list. Prints and draws nothing. Imports all but what does."""
