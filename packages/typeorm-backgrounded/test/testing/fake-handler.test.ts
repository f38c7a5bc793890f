import { expect } from 'chai'
import { Column, Entity, PrimaryColumn, PrimaryGeneratedColumn, type DataSource } from 'typeorm'
import { Backgrounded, backgrounded, drain, reference, settled, SynchronousHandler, withBackgrounded } from '../../src'
import { assertEnqueued, assertNotEnqueued, FakeHandler } from '../../src/testing'
import { inMemory } from '../support/data-sources'

const silent = { debug() {}, info() {}, warn() {}, error() {} }
const ran: string[] = []

@Entity()
class User {
  @PrimaryGeneratedColumn() id!: number
  @Column({ default: '' }) email!: string
  @Backgrounded() sendWelcome(template: string, ..._more: unknown[]): void {
    ran.push(template)
  }
  @Backgrounded({ name: 'user.farewell' }) sendFarewell(): void {}
  @Backgrounded({ attempts: 1 }) fail(): void {
    throw new Error('no mail today')
  }
  @Backgrounded() static purge(days: number): void {
    ran.push(`purge ${days}`)
  }
  unmarked(): void {}
}

@Entity()
class Seat {
  @PrimaryColumn() row!: number
  @PrimaryColumn() letter!: string
  @Backgrounded() clean(): void {}
}

describe('FakeHandler', () => {
  let dataSource: DataSource
  let handler: FakeHandler
  let user: User
  let now: number

  beforeEach(async () => {
    ran.length = 0
    now = Date.now()
    handler = new FakeHandler(() => now)
    dataSource = await withBackgrounded(inMemory([User, Seat]), { handler, logger: silent }).initialize()
    user = await dataSource.manager.save(new User())
  })
  afterEach(() => (dataSource.isInitialized ? dataSource.destroy() : undefined))

  describe('keeps jobs', () => {
    it('as they were enqueued, in order, also after they have run', async () => {
      const { id } = await backgrounded(user).sendWelcome('spring')
      await backgrounded(User).purge(30)
      await drain(dataSource, { concurrency: 1 })
      expect(handler.jobs.map(({ entity, key, method, args }) => ({ entity, key, method, args }))).to.deep.equal([
        { entity: 'User', key: { id: user.id }, method: 'sendWelcome', args: ['spring'] },
        { entity: 'User', key: undefined, method: 'purge', args: [30] },
      ])
      expect(handler.jobs[0]?.id).to.equal(id)
      expect(ran).to.deep.equal(['spring', 'purge 30'])
    })

    it('until clear(), which also forgets waiting and failed jobs', async () => {
      await backgrounded(user).sendWelcome('spring')
      await backgrounded(user).fail()
      await drain(dataSource)
      await backgrounded(user).sendWelcome('summer')
      expect(handler.ended).to.have.length(1)
      handler.clear()
      expect(handler.jobs).to.deep.equal([])
      expect(handler.ended).to.deep.equal([])
      expect(await drain(dataSource)).to.include({ completed: 0 })
      expect(ran).to.deep.equal(['spring'])
    })

    it('that failed or were discarded, with their reason', async () => {
      await backgrounded(user).fail()
      await backgrounded(reference(User, 999)).sendWelcome('x')
      await drain(dataSource, { concurrency: 1 })
      expect(handler.ended.map(({ state }) => state)).to.deep.equal(['failed', 'discarded'])
      expect(handler.ended[0]?.error).to.match(/^Error: no mail today/)
      expect(handler.ended[1]?.error).to.equal('User {"id":999} is gone.')
      expect(handler.ended[0]?.envelope.method).to.equal('fail')
    })

    it('of a transaction once it has committed, and none of one that rolls back', async () => {
      await dataSource.transaction(async (manager) => {
        await backgrounded(user, { manager }).sendWelcome('committed')
        expect(handler.jobs).to.deep.equal([])
      })
      await settled(dataSource)
      await dataSource
        .transaction(async (manager) => {
          await backgrounded(user, { manager }).sendWelcome('rolled back')
          throw new Error('roll back')
        })
        .catch(() => {})
      await settled(dataSource)
      expect(handler.jobs.map(({ args }) => args)).to.deep.equal([['committed']])
    })
  })

  describe('has a clock', () => {
    it('that makes delayed jobs due when it is moved', async () => {
      await backgrounded(user, { delay: '1h' }).sendWelcome('later')
      await backgrounded(user, { runAt: new Date(now + 7_200_000) }).sendWelcome('moment')
      expect(await drain(dataSource)).to.include({ completed: 0 })
      now += 3_599_999
      expect(await drain(dataSource)).to.include({ completed: 0 })
      now += 1
      expect(await drain(dataSource)).to.include({ completed: 1 })
      expect(ran).to.deep.equal(['later'])
      now += 3_600_000
      await drain(dataSource)
      expect(ran).to.deep.equal(['later', 'moment'])
    })

    it('that makes failed attempts due again', async () => {
      await backgrounded(user, { attempts: 2 }).fail()
      expect(await drain(dataSource)).to.include({ retried: 1, failed: 0 })
      expect(await drain(dataSource)).to.include({ retried: 0, failed: 0 })
      now += 10_000
      expect(await drain(dataSource)).to.include({ failed: 1 })
    })
  })

  describe('assertEnqueued', () => {
    const message = (assertion: () => unknown): string => {
      try {
        assertion()
      } catch (error) {
        expect(error).to.include({ code: 'ASSERTION_FAILED', name: 'AssertionFailedError' })
        return (error as Error).message
      }
      throw new Error('the assertion held')
    }

    it('returns the first job that fits', async () => {
      await backgrounded(user).sendWelcome('spring')
      await backgrounded(user).sendWelcome('summer')
      expect(assertEnqueued(User, 'sendWelcome')).to.equal(handler.jobs[0])
      expect(assertEnqueued(User, 'sendWelcome', { args: ['summer'] })).to.equal(handler.jobs[1])
    })

    it('compares the key as reference() takes it', async () => {
      await backgrounded(user).sendWelcome('spring')
      await backgrounded(reference(Seat, { row: 1, letter: 'a' })).clean()
      assertEnqueued(User, 'sendWelcome', { key: user.id })
      assertEnqueued(User, 'sendWelcome', { key: { id: user.id } })
      assertEnqueued(Seat, 'clean', { key: { letter: 'a', row: 1 } })
      message(() => assertEnqueued(User, 'sendWelcome', { key: 999 }))
      message(() => assertEnqueued(Seat, 'clean', { key: { row: 1, letter: 'b' } }))
    })

    it('compares arguments with what JSON lacks, and entities by their key', async () => {
      const other = await dataSource.manager.save(new User())
      await backgrounded(user).sendWelcome('x', new Date(5), 2n, new Map([['a', undefined]]), other)
      const args = ['x', new Date(5), 2n, new Map([['a', undefined]])]
      assertEnqueued(User, 'sendWelcome', { args: [...args, other] })
      assertEnqueued(User, 'sendWelcome', { args: [...args, reference(User, other.id)] })
      message(() => assertEnqueued(User, 'sendWelcome', { args: [...args, user] }))
      message(() => assertEnqueued(User, 'sendWelcome', { args }))
      message(() => assertEnqueued(User, 'sendWelcome', { args: ['x', new Date(6), 2n, args[3], other] }))
    })

    it('compares entities inside arrays, maps and objects by their key too', async () => {
      const other = await dataSource.manager.save(new User())
      await backgrounded(user).sendWelcome('x', [other], { by: other }, new Map([[1, other]]))
      assertEnqueued(User, 'sendWelcome', { args: ['x', [other], { by: other }, new Map([[1, other]])] })
    })

    it('finds a method by its property, whatever name jobs store, and static ones', async () => {
      await backgrounded(user).sendFarewell()
      await backgrounded(User).purge(30)
      expect(assertEnqueued(User, 'sendFarewell').method).to.equal('user.farewell')
      assertEnqueued(User, 'purge', { args: [30] })
      assertNotEnqueued(User, 'purge', { args: [31] })
    })

    it('says what was expected and what was enqueued instead', async () => {
      expect(message(() => assertEnqueued(User, 'sendWelcome'))).to.equal(
        'Expected a job for User.sendWelcome, but no job was enqueued.',
      )
      await backgrounded(user).sendWelcome('spring')
      await backgrounded(User).purge(30)
      expect(message(() => assertEnqueued(User, 'sendWelcome', { key: 7, args: ['summer', 1n] }))).to.equal(
        'Expected a job for User.sendWelcome with key 7 and args ["summer","1n"], but these were enqueued:\n' +
          `  User {"id":${user.id}} sendWelcome("spring")\n` +
          '  User purge(30)',
      )
    })

    it('fails if a method is not marked at all', async () => {
      await backgrounded(user).sendWelcome('spring')
      message(() => assertEnqueued(User, 'unmarked'))
    })

    it('assertNotEnqueued is the opposite, and says what was enqueued', async () => {
      assertNotEnqueued(User, 'sendWelcome')
      await backgrounded(user).sendWelcome('spring')
      assertNotEnqueued(User, 'sendWelcome', { args: ['summer'] })
      assertNotEnqueued(User, 'purge')
      assertNotEnqueued(Seat, 'clean')
      expect(message(() => assertNotEnqueued(User, 'sendWelcome', { args: ['spring'] }))).to.equal(
        `Expected no job for User.sendWelcome with args ["spring"], but this one was enqueued: User {"id":${user.id}} sendWelcome("spring").`,
      )
    })

    it('needs a data source with a FakeHandler, and says so', async () => {
      await dataSource.destroy()
      const other = await withBackgrounded(inMemory([User]), { handler: new SynchronousHandler() }).initialize()
      expect(message(() => assertEnqueued(User, 'sendWelcome'))).to.match(
        /No initialised data source with User has a FakeHandler: attach it with withBackgrounded/,
      )
      expect(message(() => assertNotEnqueued(User, 'sendWelcome'))).to.match(/has a FakeHandler/)
      await other.destroy()
    })
  })
})
