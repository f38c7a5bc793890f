import { AfterCommitBackgrounded, Backgrounded } from 'typeorm-backgrounded'

class Vendor {
  sync(full?: boolean): void {
    void full
  }
  rename(name: string): Promise<void> {
    return Promise.resolve(void name)
  }
  readonly title = ''
}

Backgrounded('sync')(Vendor)
Backgrounded('sync', 'rename', { queue: 'slow' })(Vendor)
// @ts-expect-error an unknown method
Backgrounded('nope')(Vendor)
// @ts-expect-error one unknown method among known ones
Backgrounded('sync', 'nope')(Vendor)
// @ts-expect-error no method
Backgrounded('title')(Vendor)
// @ts-expect-error an unknown option
Backgrounded('sync', { queu: 'slow' })(Vendor)

@Backgrounded('sync', { attempts: 3 })
export class OnClass {
  sync(): void {}
}

// @ts-expect-error an unknown method
@Backgrounded('nope')
export class Misspelt {
  sync(): void {}
}

// @ts-expect-error a private method
@Backgrounded('secret')
export class Secretive {
  private secret(): void {}
  open(): void {
    this.secret()
  }
}

@Backgrounded('rename')
export abstract class Abstract {
  abstract rename(name: string): void
}

export class OnMethods {
  @Backgrounded() plain(): void {}
  @Backgrounded({ queue: 'mail', priority: 5, relations: ['albums'], withDeleted: true }) static all(): void {}
  @Backgrounded({ backoff: (attempt, error) => (error instanceof TypeError ? 0 : attempt * 1_000) })
  async slow(text: string, ...more: number[]): Promise<void> {
    await Promise.resolve([text, more])
  }

  @AfterCommitBackgrounded() noParameters(): void {}
  @AfterCommitBackgrounded({ on: 'update', queue: 'images' }) optional(quality?: number, ...rest: string[]): void {
    void [quality, rest]
  }
  // @ts-expect-error a commit has no argument to give
  @AfterCommitBackgrounded() required(quality: number): void {
    void quality
  }
  // @ts-expect-error no event
  @AfterCommitBackgrounded({ on: 'delete' }) onDelete(): void {}
  // @ts-expect-error an unknown option
  @Backgrounded({ queu: 'mail' }) misspelt(): void {}
  // @ts-expect-error a property
  @Backgrounded() title = ''
}

export class Typed {
  isPublic = true

  @AfterCommitBackgrounded({ when: (row: Typed, { updatedColumns }) => row.isPublic && updatedColumns.includes('a') })
  fits(): void {}

  // @ts-expect-error -- the rows of this class are no Dates
  @AfterCommitBackgrounded({ when: (row: Date) => row.getTime() > 0 })
  misfits(): void {}
}
