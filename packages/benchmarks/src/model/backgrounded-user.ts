import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, DiscardJob, type InBackground } from 'typeorm-backgrounded'
import { ATTEMPTS, NO_ROW } from '../sides/side'

/** The row that a job names, with the method that runs on it. */
@Entity('bench_user')
export class BackgroundedUser {
  /** What a worker's process counts runs with. */
  static ran: (id: number, text?: string) => Promise<void> | undefined = () => undefined

  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string
  @Column() email!: string

  @Backgrounded({ attempts: ATTEMPTS })
  count(text?: string): Promise<void> | undefined {
    return BackgroundedUser.ran(this.id, text)
  }
  declare countBackgrounded: InBackground<BackgroundedUser['count']>

  /** Ends at once, and is kept: what lies beside the hot rows. */
  @Backgrounded()
  fail(): void {
    BackgroundedUser.ran(this.id)
    throw new DiscardJob('for the benchmark')
  }
  declare failBackgrounded: InBackground<BackgroundedUser['fail']>

  /** Loads nothing. */
  @Backgrounded({ attempts: ATTEMPTS })
  static nothing(): Promise<void> | undefined {
    return BackgroundedUser.ran(NO_ROW)
  }
  declare static nothingBackgrounded: InBackground<(typeof BackgroundedUser)['nothing']>
}
