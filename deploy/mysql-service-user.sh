# MySQL's image runs this once, when it creates the database: the service's own user reads and writes rows, and cannot migrate.
docker_process_sql <<SQL
CREATE USER accounting@'%' IDENTIFIED BY '${SERVICE_PASSWORD}';
GRANT SELECT, INSERT, UPDATE, DELETE ON accounting.* TO accounting@'%';
SQL
