import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, currentJob, type InBackground } from 'typeorm-backgrounded'
import { isAtWork } from './at-work'
import { RunLog } from './run-log'

@Entity()
export class Task {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string

  @Backgrounded()
  async report(word: string): Promise<void> {
    const condition = process.env.CONDITION
    if (condition) RunLog.writeAtWork(condition, await isAtWork(condition, currentJob().manager))
    RunLog.write(`${this.title} ${word}`)
  }
  declare reportBackgrounded: InBackground<Task['report']>

  @Backgrounded({ attempts: 2, backoff: 10 })
  async failOnce(): Promise<void> {
    RunLog.write(`${this.title} attempt ${currentJob().attempt}`)
    if (currentJob().attempt === 1) throw new Error('the first time')
  }
  declare failOnceBackgrounded: InBackground<Task['failOnce']>

  @Backgrounded({ attempts: 1 })
  async fail(): Promise<void> {
    throw new Error('on purpose')
  }
  declare failBackgrounded: InBackground<Task['fail']>
}
