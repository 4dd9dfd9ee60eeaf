// Node-RED without its editor: MQTT in, one statement a message, PostgreSQL.
const { Pool } = require('pg')

module.exports = {
  uiHost: '127.0.0.1',
  uiPort: Number(process.env.COMPARE_HTTP_PORT),
  flowFile: require('node:path').join(__dirname, 'flows.json'),
  httpAdminRoot: false,
  logging: { console: { level: 'warn', metrics: false, audit: false } },
  functionGlobalContext: { pool: new Pool({ connectionString: process.env.COMPARE_DATABASE, max: 8 }) },
}
