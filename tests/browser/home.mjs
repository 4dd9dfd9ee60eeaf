// A home: a private D-Bus, simulated devices that play `org.bluez` on it, and the real `vagt-edge` beside them, with or without its page.
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { debian, ours, until } from './programs.mjs';

const DRIVERS = { oximeter: 'gatt-plx', thermometer: 'gatt-thermometer', cuff: 'gatt-blood-pressure', scale: 'gatt-weight', nonin: 'nonin-df2' };

// Starts one in the clinic's folder; it ends with the clinic. `measure` has the oximeter measure, `tell` commands any device. With `kiosk`, the kit
// has its page, at `kiosk` of what is given back; `config` is put at the head of the kit's configuration.
export async function home(clinic, who, { devices: kinds = ['oximeter'], kiosk = false, config = '' } = {}) {
  debian('dbus-daemon', 'dbus');
  const address = `unix:path=${clinic.path('bus')}`;
  clinic.run(ours('firmware-sim'), ['bus', '--end-with-stdin', '--dir', clinic.folder], 'bus.log');
  await until('the private bus', () => existsSync(clinic.path('bus')));
  const args = ['home', '--person', 'stable', '--seed', '7', '--bus', address, '--serial', clinic.folder, '--devices', kinds.join(','),
    '--history-days', '0', '--live', 'off', '--json', '--end-with-stdin'];
  const devices = clinic.run(ours('firmware-sim'), args, 'devices.log');
  const ready = await devices.json((line) => line.event === 'ready');
  const port = kiosk ? await freePort() : null;
  writeFileSync(clinic.path('edge.toml'), edge(clinic, who, ready.devices, config, port));
  const start = () => clinic.run(ours('vagt-edge'), ['run', '--config', clinic.path('edge.toml')], 'edge.log', { DBUS_SYSTEM_BUS_ADDRESS: address, RUST_LOG: 'info' });
  const said = {
    kit: start(),
    kiosk: port && `http://127.0.0.1:${port}`,
    start: () => { said.kit = start(); },
    log: () => readFileSync(clinic.path('edge.log'), 'utf8'),
    tell: (command) => {
      devices.tell(JSON.stringify(command));
      return devices.json((line) => line.event === 'measured' || line.event === 'fault');
    },
    measure: (spo2, pulse) => said.tell({ measure: 'oximeter', spo2, pulse }),
  };
  if (port) await until(() => `the kit's page\n${said.log()}`, () => fetch(said.kiosk).then((answer) => answer.ok, () => false));
  return said;
}

// A port that is free now.
function freePort() {
  return new Promise((resolve, reject) => {
    const server = net.createServer();
    server.on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const edge = (clinic, { kit, secret }, devices, config, port) => `# The kit of a simulated home.
kit = "${kit}"
zone = "Europe/Copenhagen"
data_dir = "edge-data"
${config}
${port ? `[kiosk]\nlisten = "127.0.0.1:${port}"\nphone = "12 34 56 78"\n` : ''}[broker]
host = "127.0.0.1"
port = ${clinic.mqttPort}
secret = "${secret}"
keep_alive_seconds = 5
${devices.map(({ device, address, port: line }) => `[[device]]\ndriver = "${DRIVERS[device]}"\n${address ? `address = "${address}"` : `path = "${line}"`}\n`).join('')}`;
