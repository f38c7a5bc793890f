import { Column, Entity, PrimaryGeneratedColumn } from 'typeorm'

/** The row that a job names, for those who write their jobs by hand. */
@Entity('bench_user')
export class BenchUser {
  @PrimaryGeneratedColumn() id!: number
  @Column() name!: string
  @Column() email!: string
}
