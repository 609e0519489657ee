"""Python's websockets against a node: python_websockets.py ws://HOST:PORT http://HOST:PORT

Run by the tests (engine/tests/all/clients.rs). Ends with 0 when everything held.
"""

import asyncio
import json
import sys
import urllib.request

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

NODE, API = sys.argv[1], sys.argv[2]
PATIENCE_S = 20


def call(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(API + path, data=data, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
        return json.load(response)


async def api(method, path, body=None):
    return await asyncio.to_thread(call, method, path, body)


async def frame(client):
    return json.loads(await asyncio.wait_for(client.recv(), PATIENCE_S))


async def ask(client, **fields):
    await client.send(json.dumps(fields))
    return await frame(client)


async def channels_users_and_all():
    async with connect(NODE + "/msg/42", subprotocols=["epush.v1"]) as client, connect(NODE + "/msg") as guest:
        assert client.subprotocol == "epush.v1"
        welcome = await frame(client)
        assert (welcome["op"], welcome["user"]) == ("welcome", "42"), welcome
        assert (await frame(guest))["op"] == "welcome"

        for each in (client, guest):
            answer = await ask(each, op="subscribe", id=2, channel="news")
            assert (answer["op"], answer["id"]) == ("ok", 2), answer
        reply = await api("POST", "/v1/push", {"to": {"channels": ["news"]}, "data": {"text": "héllo"}})
        assert reply["local"] == 2, reply
        for each in (client, guest):
            message = await frame(each)
            assert (message["channel"], message["data"]) == ("news", {"text": "héllo"}), message

        await api("POST", "/v1/push", {"to": {"users": ["42"]}, "data": 1})
        await api("POST", "/v1/push", {"to": {"all": True}, "data": 2})
        assert (await frame(client))["data"] == 1
        assert (await frame(client))["data"] == 2
        assert (await frame(guest))["data"] == 2, "and nothing addressed to a user"

        answer = await ask(guest, op="publish", id=3, channel="news", data=3)
        frames = [answer, await frame(guest)]
        assert sorted(each["op"] for each in frames) == ["message", "ok"], frames
        assert (await frame(client))["data"] == 3

        # A ping of the protocol, not ours.
        await asyncio.wait_for(await client.ping(b"abc"), PATIENCE_S)


async def every_length_comes_back():
    async with connect(NODE + "/echo", max_size=None, compression="deflate") as client:
        for length in (0, 1, 125, 126, 127, 65_535, 65_536, 3_000_000):
            for message in ("é" * (length // 2), b"\xa5" * length):
                await client.send(message)
                assert await asyncio.wait_for(client.recv(), PATIENCE_S) == message, length
        await client.send(iter(["in ", "four ", "frag", "ments"]))
        assert await asyncio.wait_for(client.recv(), PATIENCE_S) == "in four fragments"


async def closes_carry_their_code():
    async with connect(NODE + "/msg/kicked") as client:
        await frame(client)
        await api("DELETE", "/v1/users/kicked")
        assert (await frame(client))["code"] == 4002
        try:
            await frame(client)
            raise AssertionError("still open")
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 4002, closed
    async with connect(NODE + "/msg") as client:
        await frame(client)
    assert client.close_code == 1000, client.close_code


async def what_is_not_there_is_refused():
    try:
        async with connect(NODE + "/nowhere"):
            raise AssertionError("accepted")
    except InvalidStatus as refused:
        assert refused.response.status_code == 404, refused


async def many_at_once():
    clients = [await connect(NODE + "/msg") for _ in range(200)]
    for client in clients:
        await frame(client)
    await api("POST", "/v1/push", {"to": {"all": True}, "data": "to all"})
    messages = await asyncio.gather(*(frame(client) for client in clients))
    assert all(message["data"] == "to all" for message in messages)
    await asyncio.gather(*(client.close() for client in clients))


async def main():
    await channels_users_and_all()
    await every_length_comes_back()
    await closes_carry_their_code()
    await what_is_not_there_is_refused()
    await many_at_once()


asyncio.run(main())
