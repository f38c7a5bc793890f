import { expect } from 'chai'
import { randomUUID } from 'node:crypto'
import { inDatabase, inRedis } from '../src/demo/connections'
import { makeFreshDatabase } from '../src/demo/fresh-database'
import { makeFreshQueues } from '../src/demo/fresh-queues'
import { requireServers } from './support/require-servers'
import { start } from './support/start'

describe('npm start', () => {
  it('tells its story on one SQLite file', () => {
    const { code, output } = start({ ALBUM_SERVERS: '' })
    expect(output).to.match(/on better-sqlite3 .*album\.sqlite, with the database handler/)
    expect(output).to.include('All is well.')
    expect(code).to.equal(0)
  })

  it('says in a sentence what to do where a server cannot be reached', () => {
    const { code, output } = start({ ALBUM_SERVERS: '1', PGHOST: '127.0.0.1', PGPORT: '1' })
    expect(output).to.match(/^\nThe album .* Postgres cannot be reached at 127\.0\.0\.1:1 .*docker compose.*\n$/)
    expect(code).to.equal(1)
  })

  describe('on Postgres and Redis', () => {
    const name = `album_${randomUUID().replaceAll('-', '')}`
    const env = { ALBUM_SERVERS: '1', ALBUM_NAME: name }

    before(async function () {
      await requireServers(this)
    })

    beforeEach(() => makeFreshDatabase(name))

    afterEach(async () => {
      await inDatabase('postgres', (server) => server.query(`DROP DATABASE ${name} WITH (FORCE)`))
      await makeFreshQueues(name)
    })

    it('tells its story, and tells it again from an empty album', () => {
      for (let times = 0; times < 2; times++) {
        const { code, output } = start(env)
        expect(output).to.include(`on postgres ${name}, with the bull handler`)
        expect(output).to.include('All is well.')
        expect(code).to.equal(0)
      }
    }).timeout(100_000)

    it('leaves a database alone that holds anything else', async () => {
      await inDatabase(name, (album) => album.query('CREATE TABLE diary AS SELECT 1 AS page'))
      const { code, output } = start(env)
      expect(output).to.include(`the database ${name} is not an album of this example`)
      expect(code).to.equal(1)
      expect(await inDatabase(name, (album) => album.query('SELECT * FROM diary'))).to.have.length(1)
    })

    it('removes none but its own keys from Redis', async () => {
      const [own, other] = [`${name}:default:default:1`, `${name}:notes`]
      await inRedis((client) => client.mset(own, '', other, ''))
      await makeFreshQueues(name)
      expect(await inRedis((client) => client.del(own))).to.equal(0)
      expect(await inRedis((client) => client.del(other))).to.equal(1)
    })
  })
})
