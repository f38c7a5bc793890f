import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'chai'
import { isFree } from './free-port'
import { requireMariaDbServer } from './mariadb-server'
import { requirePostgresServer } from './postgres-server'
import { requireRedisServer } from './redis-server'
import { until } from './worker-process'

describe('a service that the tests need', function () {
  this.timeout(60_000)
  const missing = {
    PGPORT: '1',
    MYSQL_PORT: '1',
    REDIS_URL: 'redis://127.0.0.1:1',
    PATH: '',
    POSTGRES_BIN: '/nowhere',
    MARIADB_BIN: '/nowhere',
  }

  it('skips its tests if it is missing, and says so', () => {
    const { output, failures } = mocha('missing-services', { ...missing, CI: '' })
    expect(output.match(/^ok .* # SKIP/gm)).to.have.length(6)
    expect(output.match(/SKIPPED: no (Postgres|MariaDB|Redis) on .*:1 /g)).to.have.length(3)
    expect(output.match(/SKIPPED: no (redis-server|initdb and postgres|\S+ and mariadbd) command/g)).to.have.length(3)
    expect(failures).to.equal(0)
  })

  it('fails its tests if it is missing in CI', () => {
    const { output, failures } = mocha('missing-services', { ...missing, CI: 'true' })
    expect(output.match(/^not ok /gm)).to.have.length(6)
    expect(failures).to.equal(6)
  })

  it('ends with the tests, even if one fails and forgets to end it', async function () {
    await requireRedisServer(this)
    await requirePostgresServer(this)
    await requireMariaDbServer(this)
    const { output, failures } = mocha('forgotten-server', {})
    expect(failures).to.equal(1)
    const ports = /ports ([\d ]+)/.exec(output)?.[1]?.split(' ').map(Number) ?? expect.fail(output)
    await until(async () => (await Promise.all(ports.map(isFree))).every(Boolean))
  })
})

function mocha(fixture: string, env: Record<string, string>): { output: string; failures: number | null } {
  const command = [require.resolve('mocha/bin/mocha.js'), '--no-config', '--reporter', 'tap']
  const file = join(__dirname, 'fixtures', `${fixture}.js`)
  const { stdout, stderr, status } = spawnSync(process.execPath, [...command, file], {
    env: { ...process.env, ...env },
    encoding: 'utf8',
    timeout: 30_000,
  })
  return { output: stdout + stderr, failures: status }
}
