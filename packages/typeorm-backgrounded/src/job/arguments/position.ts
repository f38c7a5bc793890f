import { escapeName } from './json-pointer'

/** The most characters with which an error says where the bad value is. */
const MAX_PATH_LENGTH = 300

/** How a value is held by the value around it: the entry of a Map, the item of a Set. */
export type Place = 'index' | 'entry' | 'item' | 'property'

/** The way from the arguments to the value that is being encoded. It is put into words only when something asks. */
export class Position {
  depth = 0
  private readonly names: (string | number)[] = []
  private readonly places: Place[] = []
  private readonly pointers: (string | undefined)[] = ['']

  enter(name: string | number, place: Place): void {
    this.names[this.depth] = name
    this.places[this.depth] = place
    this.depth++
    this.pointers[this.depth] = undefined
  }

  leave(): void {
    this.depth--
  }

  /** As a JSON pointer: `/0/rows/2`. */
  pointer(level = this.depth): string {
    const known = this.pointers[level]
    if (known !== undefined) return known
    const name = this.names[level - 1] as string | number
    const pointer = `${this.pointer(level - 1)}/${typeof name === 'number' ? name : escapeName(name)}`
    return (this.pointers[level] = pointer)
  }

  /** As an error says it: `args[0].rows[2]`. */
  path(): string {
    let path = 'args'
    for (let level = 0; level < this.depth; level++) path += step(this.places[level] as Place, this.names[level])
    return path.length > MAX_PATH_LENGTH ? `${path.slice(0, MAX_PATH_LENGTH)}…` : path
  }
}

function step(place: Place, name: string | number | undefined): string {
  switch (place) {
    case 'index':
      return `[${name}]`
    case 'property':
      return propertyStep(String(name))
    default:
      return `.${place}(${name})`
  }
}

function propertyStep(name: string): string {
  return /^[A-Za-z_$][\w$]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`
}
