"""What users would write instead: small programs that put the same traits into the same table.

Each is as its own documentation has it, in the setting that suits it best here: early acknowledgement (a killed worker
loses its jobs), no results, a connection kept for each process or thread.
"""
