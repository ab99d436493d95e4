"""How a last form is run: closed forms on any array library, conic programs through CVXPY."""
