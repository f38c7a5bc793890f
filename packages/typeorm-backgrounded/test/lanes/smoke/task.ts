import { appendFileSync } from 'node:fs'
import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm'
import { Backgrounded, type InBackground } from 'typeorm-backgrounded'

@Entity()
export class Task {
  @PrimaryGeneratedColumn() id!: number
  @Column() title!: string

  @Backgrounded()
  async report(word: string): Promise<void> {
    appendFileSync(process.env.RUN_LOG as string, `${this.title} ${word}\n`)
  }
  declare reportBackgrounded: InBackground<Task['report']>
}
