import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect } from 'chai'
import { ping } from './redis'
import { requireRedisServer } from './redis-server'

describe('a service that the tests need', function () {
  this.timeout(60_000)
  const missing = { PGPORT: '1', MYSQL_PORT: '1', REDIS_URL: 'redis://127.0.0.1:1', PATH: '' }

  it('skips its tests where it is missing, and says so', () => {
    const { output, failures } = mocha('missing-services', { ...missing, CI: '' })
    expect(output.match(/^ok .* # SKIP/gm)).to.have.length(4)
    expect(output.match(/SKIPPED: no (Postgres|MariaDB|Redis) on .*:1 |SKIPPED: no redis-server/g)).to.have.length(4)
    expect(failures).to.equal(0)
  })

  it('fails its tests where it is missing in CI', () => {
    const { output, failures } = mocha('missing-services', { ...missing, CI: 'true' })
    expect(output.match(/^not ok /gm)).to.have.length(4)
    expect(failures).to.equal(4)
  })

  it('ends with the tests, though one forgot to end it', async function () {
    await requireRedisServer(this)
    const { output, failures } = mocha('forgotten-server', {})
    expect(failures).to.equal(0)
    const url = /redis:\S+/.exec(output)?.[0] ?? expect.fail(output)
    const reason = await ping(url).catch((error: Error) => error.message)
    expect(reason).to.match(/ECONNREFUSED/)
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
