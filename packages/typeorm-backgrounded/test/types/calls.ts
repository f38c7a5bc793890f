import { backgrounded, type EntityReference, type InBackground, type JobReceipt } from 'typeorm-backgrounded'
import { same } from './expect'
import { Album, User, type Json } from './model'

declare const user: User
declare const album: Album
declare const json: Json

export async function generatedMethods(): Promise<void> {
  same<typeof user.sendWelcomeBackgrounded, (template: string) => Promise<JobReceipt>>()
  same<typeof user.greetBackgrounded, (politely?: boolean) => Promise<JobReceipt>>()
  same<typeof Album.rebuildIndexBackgrounded, (since?: Date) => Promise<JobReceipt>>()
  same<
    typeof album.renameBackgrounded,
    (title: string, by: User | EntityReference<User> | null) => Promise<JobReceipt>
  >()

  const receipt: JobReceipt = await user.sendWelcomeBackgrounded('spring')
  same<typeof receipt.state, 'enqueued' | 'deferred' | 'duplicate' | 'performed'>()
  await user.shareBackgrounded([album], [album, 1], 'summer', 'sea')
  await user.shareBackgrounded([], [album, 1])
  await user.renderBackgrounded('small', { left: 1 }, new Date(), Buffer.from(''))
  await user.storeBackgrounded(json, new Map([['a', 1]]), new Set(['a']), 5n, () => {})
  await user.pickBackgrounded('a', ['b'])
  await user.pickBackgrounded('a')
  await Album.rebuildIndexBackgrounded()

  // @ts-expect-error too few arguments
  await user.sendWelcomeBackgrounded()
  // @ts-expect-error too many arguments
  await user.sendWelcomeBackgrounded('spring', 'summer')
  // @ts-expect-error a wrong argument
  await user.sendWelcomeBackgrounded(5)
  // @ts-expect-error a wrong argument of a static method
  await Album.rebuildIndexBackgrounded('yesterday')
  // @ts-expect-error not one of the union
  await user.renderBackgrounded('huge', { left: 1 }, new Date(), Buffer.from(''))
  // @ts-expect-error a property is missing
  await user.renderBackgrounded('small', { top: 1 }, new Date(), Buffer.from(''))
  // @ts-expect-error a wrong rest argument
  await user.shareBackgrounded([], [album, 1], 5)
  // @ts-expect-error the pair the wrong way round
  await user.shareBackgrounded([], [1, album])
  // @ts-expect-error no text
  await user.pickBackgrounded(5)
  // @ts-expect-error no method
  type NoMethod = InBackground<User['email']>
}

export async function calls(): Promise<void> {
  const one: JobReceipt = await backgrounded(user).sendWelcome('spring')
  const delayed: JobReceipt = await backgrounded(user, { delay: '5m', priority: -1, manager: null }).greet()
  const many: JobReceipt[] = await backgrounded([user, user]).sendWelcome('spring')
  const all: JobReceipt = await backgrounded(Album).rebuildIndex(new Date())
  same<ReturnType<ReturnType<typeof sendToMany>['sendWelcome']>, Promise<JobReceipt[]>>()
  void [one, delayed, many, all]

  // What the method returns makes no difference: void, a promise, a value.
  same<ReturnType<ReturnType<typeof onUser>['share' | 'greet' | 'render']>, Promise<JobReceipt>>()
  // Nor do names that TypeORM would give to a class that extends BaseEntity.
  await backgrounded(Album).count()
  await backgrounded(album).recover()
  // Nor does an untyped entity.
  await backgrounded(JSON.parse('{}')).anything()

  // @ts-expect-error an unknown method
  await backgrounded(user).nope()
  // @ts-expect-error an unknown method of many
  await backgrounded([user]).nope()
  // @ts-expect-error an unknown static method
  await backgrounded(Album).nope()
  // @ts-expect-error an instance method is no static one
  await backgrounded(Album).rename('a', null)
  // @ts-expect-error a column
  await backgrounded(user).email()
  // @ts-expect-error too few arguments
  await backgrounded(user).sendWelcome()
  // @ts-expect-error a wrong argument
  await backgrounded([user]).sendWelcome(5)
  // @ts-expect-error BaseEntity's own method
  await backgrounded(user).save()
  // @ts-expect-error BaseEntity's own static method
  await backgrounded(User).find()
  // @ts-expect-error a generated method
  await backgrounded(user).sendWelcomeBackgrounded('spring')
  // @ts-expect-error an unknown option
  backgrounded(user, { dely: '5m' })
  // @ts-expect-error no duration
  backgrounded(user, { delay: 'soon' })
  // @ts-expect-error no entity
  backgrounded('user')
}

/** `this` and other type parameters show the methods of what they stand for. */
export class Person extends User {
  async befriend(): Promise<void> {
    await backgrounded(this).sendWelcome('spring')
    await backgrounded(this, { delay: 5 }).call('now')
    await backgrounded([this]).call('now')
    // @ts-expect-error a wrong argument
    await backgrounded(this).call(5)
    // @ts-expect-error an unknown method
    await backgrounded(this).nope()
  }

  call(when: string): void {
    void when
  }
}

export function welcome<T extends User>(someone: T): Promise<JobReceipt> {
  return backgrounded(someone).sendWelcome('spring')
}

/** Declarations of calls can be emitted: their types have public names. */
export const sendToMany = (users: User[]) => backgrounded(users)
export const onUser = (someone: User) => backgrounded(someone)
export const onAlbums = () => backgrounded(Album)
