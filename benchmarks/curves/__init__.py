"""How the cost of each operation grows: with the users in the table, the ids of a person, and the size of a user."""
