"""Where libmemcached puts keys. Reads {"servers": [...], "keys": [...]} from stdin, prints indexes.

store: writes the keys through pylibmc, then asks every server which of them it holds.
place: asks libmemcached where they would go; needs no server.
"""

import ctypes
import json
import sys

import _pylibmc
import pylibmc
from pylibmc.client import translate_server_specs

KETAMA_WEIGHTED = 16  # MEMCACHED_BEHAVIOR_KETAMA_WEIGHTED in libmemcached's behavior.h


def store(servers, keys):
    client = pylibmc.Client(servers, behaviors={"ketama_weighted": True})
    if failed := client.set_multi({key: "x" for key in keys}):
        raise SystemExit(f"not stored: {failed[:3]}")
    held = [pylibmc.Client([server]).get_multi(keys) for server in servers]
    if sum(map(len, held)) != len(keys):
        raise SystemExit("a key on no server or on several")
    return [next(i for i, found in enumerate(held) if key in found) for key in keys]


def place(servers, keys):
    lib = ctypes.CDLL(_pylibmc.__file__)
    lib.memcached_create.restype = ctypes.c_void_p
    client = ctypes.c_void_p(lib.memcached_create(None))
    check(lib.memcached_behavior_set(client, KETAMA_WEIGHTED, ctypes.c_uint64(1)))
    for kind, host, port, _ in translate_server_specs(servers):
        if kind == _pylibmc.server_type_unix:
            check(lib.memcached_server_add_unix_socket(client, host.encode()))
        else:
            check(lib.memcached_server_add(client, host.encode(), ctypes.c_uint16(port)))
    encoded = [key.encode() for key in keys]
    return [lib.memcached_generate_hash(client, key, ctypes.c_size_t(len(key))) for key in encoded]


def check(status):
    if status != 0:
        raise SystemExit(f"libmemcached: {status}")


print(json.dumps({"store": store, "place": place}[sys.argv[1]](**json.load(sys.stdin))))
