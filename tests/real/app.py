"""The small real application that tests/real_zones.rs runs twice per zone, under gunicorn, on the zone's PostgreSQL.

GET  /         reads a row
POST /orders   stores an order; executing the same one again is counted, not refused
GET  /healthz  asks the database, as the proxy's check

Environment: ZONE and SERVER name this process; DATABASE is a libpq connection string; ARRIVALS is a file that every
request is noted in on arrival, before anything else can fail; BROKEN is a path: while it exists, the app answers 500.
"""

import os
import threading
import time
from urllib.parse import parse_qs

import psycopg2

ZONE = os.environ["ZONE"]
SERVER = os.environ["SERVER"]
BROKEN = os.environ["BROKEN"]
# O_APPEND and one write per line: threads and workers share the file without a lock.
ARRIVALS = os.open(os.environ["ARRIVALS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)

INSERT = """
    INSERT INTO orders (id, executions) VALUES (%s, 1)
    ON CONFLICT (id) DO UPDATE SET executions = orders.executions + 1
"""

mine = threading.local()


def connect():
    """This thread's connection, tried before it is used, as connection pools do: the database may have been restarted."""
    connection = getattr(mine, "connection", None)
    if connection is not None:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            return connection
        except psycopg2.Error:
            connection.close()
    mine.connection = None
    connection = psycopg2.connect(os.environ["DATABASE"], connect_timeout=2)
    connection.autocommit = True
    mine.connection = connection
    return connection


def query(sql, parameters=()):
    """One statement, committed."""
    with connect().cursor() as cursor:
        cursor.execute(sql, parameters)
        return cursor.fetchone() if cursor.description else None


def note(method, request_id):
    line = f"{time.time_ns()} {SERVER} {method} {request_id}\n"
    os.write(ARRIVALS, line.encode())


def answer(method, path, request_id):
    if os.path.exists(BROKEN):
        return "500 Internal Server Error", "broken on purpose\n"
    try:
        if path == "/healthz":
            query("SELECT 1")
            return "200 OK", "healthy\n"
        if path == "/orders" and method == "POST":
            query(INSERT, (request_id,))
            return "201 Created", f"stored {request_id} in {ZONE}\n"
        if path == "/" and method == "GET":
            (greeting,) = query("SELECT text FROM greeting")
            return "200 OK", f"{greeting} from {ZONE} {SERVER}\n"
    except psycopg2.Error as error:
        return "500 Internal Server Error", f"database: {error}\n"
    return "404 Not Found", "no such page\n"


def application(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    request_id = parse_qs(environ.get("QUERY_STRING", "")).get("id", ["-"])[0]
    if path != "/healthz":
        note(method, request_id)
    status, text = answer(method, path, request_id)
    body = text.encode()
    start_response(status, [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("X-Served-By", f"{ZONE}/{SERVER}"),
    ])
    return [body]
