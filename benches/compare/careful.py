# A careful ingestion service in Python, as a good engineer would write it in a day: MQTT 5 with manual acknowledgements, batches, COPY, and the
# acknowledgement after the commit. It loses nothing; it does no triage. `make bench` measures Vagt beside it.

import json
import queue
import sys
import threading

import paho.mqtt.client as mqtt
import psycopg
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

BATCH_MESSAGES_MAX = 2000
QUEUE_MESSAGES_MAX = 20_000


def rows(kit, message):
    seq = message["seq"]
    for place, reading in enumerate(message["readings"]):
        yield (kit, seq, place, reading["vital"], reading["value"], reading["unit"], reading["measured_at"],
               reading["device"], reading["clock"], reading["flags"])


def store(database, batch):
    """One transaction: a message that is there already brings no readings."""
    decoded = {}
    for arrived in batch:
        kit, message = arrived.topic.split("/")[2], json.loads(arrived.payload)
        decoded.setdefault((kit, message["seq"]), message)
    with database.transaction(), database.cursor() as cursor:
        kits, seqs = zip(*decoded)
        cursor.execute("INSERT INTO message SELECT * FROM unnest(%s::text[], %s::bigint[]) ON CONFLICT DO NOTHING RETURNING kit, seq",
                       (list(kits), list(seqs)))
        new = cursor.fetchall()
        with cursor.copy("COPY reading FROM STDIN") as copy:
            for kit, seq in new:
                for row in rows(kit, decoded[kit, seq]):
                    copy.write_row(row)


def main(port, dsn):
    arrived = queue.Queue(QUEUE_MESSAGES_MAX)
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, "careful", protocol=mqtt.MQTTv5, manual_ack=True)
    client.on_message = lambda _client, _data, message: arrived.put(message)

    def connected(client, _data, _flags, reason, _properties):
        client.subscribe("vagt/v1/+/readings", qos=1)
        print(json.dumps({"ready": True}), flush=True)

    client.on_connect = connected
    properties = Properties(PacketTypes.CONNECT)
    properties.ReceiveMaximum = 65_535
    properties.SessionExpiryInterval = 3600
    client.connect("127.0.0.1", port, clean_start=False, properties=properties)
    threading.Thread(target=client.loop_forever, daemon=True).start()
    with psycopg.connect(dsn, autocommit=True) as database:
        while True:
            batch = [arrived.get()]
            while len(batch) < BATCH_MESSAGES_MAX and not arrived.empty():
                batch.append(arrived.get())
            store(database, batch)
            for message in batch:
                client.ack(message.mid, message.qos)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
