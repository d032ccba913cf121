"""From goals to a vial: prescription models, feasible window, optimum, calendar."""
