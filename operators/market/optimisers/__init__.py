"""Target weights of a portfolio, an objective a file.

They know returns and constraints; solvers are loaded by the first request.
"""
