"""PostgreSQL: VectorOperations, its SQL, its schema, and the server that travels along."""
