"""What users would write instead: small programs that store the same traits in the same table.

Each follows its own documentation, with the settings that are fastest here: early acknowledgement (a killed worker
loses its jobs), no results, one kept connection for each process or thread.
"""
