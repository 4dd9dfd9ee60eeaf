// A home: a private D-Bus, a simulated pulse oximeter that plays `org.bluez` on it, and the real `vagt-edge` beside them.
import { existsSync, writeFileSync } from 'node:fs';
import { debian, ours, until } from './programs.mjs';

// Starts one in the clinic's folder; it ends with the clinic. `measure` has the oximeter measure.
export async function home(clinic, who) {
  debian('dbus-daemon', 'dbus');
  const address = `unix:path=${clinic.path('bus')}`;
  clinic.run(ours('firmware-sim'), ['bus', '--end-with-stdin', '--dir', clinic.folder], 'bus.log');
  await until('the private bus', () => existsSync(clinic.path('bus')));
  const args = ['home', '--person', 'stable', '--seed', '7', '--bus', address, '--serial', clinic.folder, '--devices', 'oximeter',
    '--history-days', '0', '--live', 'off', '--json', '--end-with-stdin'];
  const devices = clinic.run(ours('firmware-sim'), args, 'devices.log');
  const ready = await devices.json((line) => line.event === 'ready');
  writeFileSync(clinic.path('edge.toml'), edge(clinic, who, ready.devices[0].address));
  clinic.run(ours('vagt-edge'), ['run', '--config', clinic.path('edge.toml')], 'edge.log', { DBUS_SYSTEM_BUS_ADDRESS: address, RUST_LOG: 'info' });
  return {
    measure: (spo2, pulse) => {
      devices.tell(JSON.stringify({ measure: 'oximeter', spo2, pulse }));
      return devices.json((line) => line.event === 'measured');
    },
  };
}

const edge = (clinic, { kit, secret }, address) => `# The kit of a simulated home.
kit = "${kit}"
zone = "Europe/Copenhagen"
data_dir = "edge-data"
[broker]
host = "127.0.0.1"
port = ${clinic.mqttPort}
secret = "${secret}"
keep_alive_seconds = 5
[[device]]
driver = "gatt-plx"
address = "${address}"
`;
