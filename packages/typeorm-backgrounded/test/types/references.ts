import { backgrounded, reference, type EntityReference, type JobReceipt, type OrReference } from 'typeorm-backgrounded'
import { same } from './expect'
import { Album, User, type Json } from './model'

declare const user: User
declare const album: Album
const someone = reference(User, 5)
const somewhere = reference(Album, { id: 7 })

export async function references(): Promise<void> {
  same<typeof someone, EntityReference<User>>()
  const one: JobReceipt = await backgrounded(someone).sendWelcome('spring')
  const many: JobReceipt[] = await backgrounded([user, someone]).sendWelcome('spring')
  const others: JobReceipt[] = await backgrounded([someone]).sendWelcome('spring')
  void [one, many, others]

  await album.renameBackgrounded('Sea', someone)
  await album.renameBackgrounded('Sea', null)
  await backgrounded(album).rename('Sea', someone)
  await backgrounded([somewhere]).rename('Sea', someone)
  await user.shareBackgrounded([album, somewhere], [somewhere, 1])

  // @ts-expect-error a reference to another class, as an argument
  await album.renameBackgrounded('Sea', somewhere)
  // @ts-expect-error a reference to another class, on the proxy
  await backgrounded(album).rename('Sea', somewhere)
  // @ts-expect-error a reference to another class, in a list
  await user.shareBackgrounded([someone], [album, 1])
  // @ts-expect-error a reference where a text is due
  await user.sendWelcomeBackgrounded(someone)
  // @ts-expect-error a method of another class
  await backgrounded(somewhere).sendWelcome('spring')
  // @ts-expect-error a class without a key
  reference(User)
  // @ts-expect-error no class
  reference('User', 5)
}

/** Nothing is added to a parameter where no entity can stand. */
export function readableParameters(): void {
  same<OrReference<User>, User | EntityReference<User>>()
  same<OrReference<User | undefined>, User | EntityReference<User> | undefined>()
  same<OrReference<User | Album>, User | EntityReference<User> | Album | EntityReference<Album>>()
  same<OrReference<readonly User[]>, readonly (User | EntityReference<User>)[]>()
  same<OrReference<string[] | boolean | 5n>, string[] | boolean | 5n>()
  same<OrReference<Date | Buffer | Map<string, number> | Set<User>>, Date | Buffer | Map<string, number> | Set<User>>()
  same<OrReference<() => void>, () => void>()
  same<OrReference<Json>, Json>()
  same<OrReference<Record<string, unknown>>, Record<string, unknown>>()
  same<OrReference<unknown>, unknown>()
  same<OrReference<any>, any>()
}
