"""What all endpoints have in common: routes, bodies, query strings, answers and errors."""
