-- What ran embedded alone; PostgreSQL begins with the next step.
SELECT 1;
