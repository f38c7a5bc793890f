import type { BuiltInConsumeOptions } from '../../contract/built-in'
import type { Acknowledgement } from './acknowledgement'
import type { InFlightJobs } from './in-flight-jobs'
import type { LeaseNumbers } from './lease-numbers'
import type { Lane, LeasedJobs } from './leased-jobs'

/**
 * Claims suspects: jobs that were running when their worker died. After one death they run together, in up to half of
 * the slots. After a second death, or with only one attempt left, a suspect runs beside no other suspect, so that no
 * other job is suspected when it kills its worker again.
 */
export class Suspects {
  /** Lanes with due suspects. */
  private lanes: readonly Lane[] = []

  constructor(
    private readonly jobs: LeasedJobs,
    private readonly inFlight: InFlightJobs,
    private readonly leases: LeaseNumbers,
    private readonly options: BuiltInConsumeOptions,
  ) {}

  /** @param lanes all lanes with waiting jobs */
  seenIn(lanes: readonly Lane[]): void {
    this.lanes = lanes.filter(({ suspect, wait }) => suspect > 0 && wait <= 0)
  }

  /** Returns how many jobs were claimed. */
  async claim(acknowledgement: Acknowledgement, free: number): Promise<number> {
    if (free === 0 || this.lanes.length === 0) return 0
    const lanes = [...this.lanes].sort((a, b) => this.rank(a) - this.rank(b) || a.wait - b.wait)
    const running = this.inFlight.suspects(acknowledgement.jobs)
    if (running.some(({ claim }) => claim.suspect > 1)) return 0
    let room = Math.min(free, Math.max(1, Math.floor((this.options.concurrency ?? 1) / 2)) - running.length)
    let claimed = 0
    const claim = async (lane: Lane, limit: number) => {
      const rows = await this.jobs.claimSuspects(lane, limit, this.leases.next())
      this.inFlight.add(rows)
      room -= rows.length
      claimed += rows.length
    }
    for (const lane of lanes) if (lane.suspect === 1 && room > 0) await claim(lane, room)
    for (const lane of lanes) if (lane.suspect > 1 && running.length + claimed === 0) await claim(lane, 1)
    return claimed
  }

  private rank({ queue, priority }: Lane): number {
    return this.options.queues === '*' ? priority : this.options.queues.indexOf(queue)
  }
}
