import { BaseEntity, Column, Entity, ManyToOne, PrimaryGeneratedColumn } from 'typeorm'
import { AfterCommitBackgrounded, Backgrounded, BackgroundedEntity, type InBackground } from 'typeorm-backgrounded'

export type Json = string | number | boolean | null | Json[] | { [name: string]: Json }
export type Size = 'small' | 'large'

export interface Crop {
  readonly left: number
  readonly top?: number
}

@Entity()
@BackgroundedEntity({ name: 'gallery.Album' })
export class Album {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string

  @Backgrounded({ queue: 'slow' })
  static async rebuildIndex(since?: Date): Promise<void> {
    void since
  }
  declare static rebuildIndexBackgrounded: InBackground<(typeof Album)['rebuildIndex']>

  /** Named as one of BaseEntity's, which this class is not. */
  @Backgrounded()
  static count(): number {
    return 0
  }

  @Backgrounded()
  recover(): void {}

  @Backgrounded()
  rename(title: string, by: User | null): void {
    void [title, by]
  }
  declare renameBackgrounded: InBackground<Album['rename']>
}

@Entity()
export class User extends BaseEntity {
  @PrimaryGeneratedColumn() id!: number
  @Column() email!: string
  @ManyToOne(() => Album) favourite!: Promise<Album>

  @Backgrounded({ queue: 'mail', attempts: 5, backoff: [1_000, 5_000], onMissing: 'fail' })
  async sendWelcome(template: string): Promise<void> {
    void template
  }
  declare sendWelcomeBackgrounded: InBackground<User['sendWelcome']>

  @AfterCommitBackgrounded({ on: ['insert', 'softRemove'], when: (user: User) => user.email !== '' })
  greet(politely?: boolean): Promise<string> {
    return Promise.resolve(String(politely))
  }
  declare greetBackgrounded: InBackground<User['greet']>

  @Backgrounded()
  share(albums: Album[], pair: readonly [Album, number], ...tags: string[]): void {
    void [albums, pair, tags]
  }
  declare shareBackgrounded: InBackground<User['share']>

  @Backgrounded()
  render(size: Size | number, crop: Crop, when: Date, image: Buffer): number {
    return [size, crop, when, image].length
  }
  declare renderBackgrounded: InBackground<User['render']>

  @Backgrounded()
  store(json: Json, table: Map<string, number>, names: ReadonlySet<string>, anything: unknown, loose: any): void {
    void [json, table, names, anything, loose]
  }
  declare storeBackgrounded: InBackground<User['store']>

  @Backgrounded()
  async pick<T extends string>(first: T, others: readonly T[] = []): Promise<T | undefined> {
    return others[0] ?? first
  }
  declare pickBackgrounded: InBackground<User['pick']>
}
