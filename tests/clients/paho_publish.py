# Publishes one contract message with paho (a client nobody here wrote) and prints a JSON line when the PUBACK comes.
#   paho_publish.py PORT KIT SECRET PROTOCOL(4|5) PAYLOAD_FILE
import json
import sys
import time

import paho.mqtt.client as mqtt

port, kit, secret, protocol, payload_file = sys.argv[1:6]

client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id=kit, protocol=int(protocol))
client.username_pw_set(kit, secret)
said = {"connected": None, "puback": False, "acks": []}


def on_connect(_client, _data, _flags, reason, _properties):
    said["connected"] = str(reason)
    if not reason.is_failure:
        client.subscribe(f"vagt/v1/{kit}/acks", qos=1)


def on_subscribe(_client, _data, _mid, _reasons, _properties):
    with open(payload_file, "rb") as payload:
        client.publish(f"vagt/v1/{kit}/readings", payload.read(), qos=1)
    print(json.dumps({"published": True}), flush=True)


def on_publish(_client, _data, _mid, reason, _properties):
    said["puback"] = True
    print(json.dumps({"puback": str(reason)}), flush=True)


def on_message(_client, _data, message):
    said["acks"].append(json.loads(message.payload))
    print(json.dumps({"acks": said["acks"][-1]}), flush=True)


client.on_connect, client.on_subscribe = on_connect, on_subscribe
client.on_publish, client.on_message = on_publish, on_message
client.connect("127.0.0.1", int(port), keepalive=30)
client.loop_start()
give_up = time.monotonic() + 30
while time.monotonic() < give_up and not (said["puback"] and said["acks"]):
    time.sleep(0.02)
client.loop_stop()
sys.exit(0 if said["puback"] and said["acks"] else 1)
