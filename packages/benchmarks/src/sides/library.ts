import { backgrounded, createWorker, settled, withBackgrounded, type Handler } from 'typeorm-backgrounded'
import { BackgroundedUser } from '../model/backgrounded-user'
import { newUser, userOf } from '../model/users'
import type { Place } from '../places/place'
import { dataSourceOf, layUsers, renameUser, type DriverOptions } from './data-source'
import type { Side } from './side'

const silent = { debug() {}, info() {}, warn() {}, error() {} }

/** This library, whatever the handler. */
export async function openLibrary(place: Place, handler: Handler, options?: DriverOptions): Promise<Side> {
  const dataSource = withBackgrounded(dataSourceOf(place, BackgroundedUser, options), { handler, logger: silent })
  await dataSource.initialize()
  // As a caller has it at hand.
  const users = new Map<number, BackgroundedUser>()
  const user = (id: number) => {
    const known = users.get(id) ?? Object.assign(new BackgroundedUser(), userOf(id))
    users.set(id, known)
    return known
  }
  return {
    lay: () => layUsers(dataSource, BackgroundedUser),
    enqueue: (id, text) => (text ? user(id).countBackgrounded(text) : user(id).countBackgrounded()),
    enqueueMany(ids, { text, isScheduled = false, isFailing = false, isEmpty = false } = {}) {
      if (isEmpty) return Promise.all(ids.map(() => BackgroundedUser.nothingBackgrounded()))
      const calls = backgrounded(ids.map(user), isScheduled ? { delay: '1h' } : {})
      if (isFailing) return calls.fail()
      return text ? calls.count(text) : calls.count()
    },
    saveAndEnqueue: (number, { isUpdating = false } = {}) =>
      dataSource.transaction(async (manager) => {
        const saved = await manager.save(Object.assign(new BackgroundedUser(), newUser(number)))
        await saved.countBackgrounded()
        if (isUpdating) await renameUser(manager, BackgroundedUser, saved.id)
      }),
    settled: () => settled(dataSource),
    async work(slots, ran) {
      BackgroundedUser.ran = ran
      const worker = createWorker(dataSource, { concurrency: slots })
      void worker.run()
      await worker.ready
      return worker
    },
    close: async () => void (await dataSource.destroy()),
  }
}
