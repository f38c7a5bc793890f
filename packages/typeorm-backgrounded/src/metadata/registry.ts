import type { AfterCommitOptions } from './after-commit-options'
import type { MethodOptions } from './options'

/** What a decorator said about one method. */
export interface MethodDeclaration {
  readonly property: string
  readonly isStatic: boolean
  readonly options: MethodOptions
  /** Set by `@AfterCommitBackgrounded`. */
  readonly afterCommit?: Pick<AfterCommitOptions, 'on' | 'when'>
}

/** What the decorators said about one class, without its ancestors. */
export interface ClassDeclaration {
  name?: string
  /** Marked instance methods by property name. Whether they exist is checked at start-up. */
  readonly methods: Map<string, MethodDeclaration>
  readonly statics: Map<string, MethodDeclaration>
}

/** A class, abstract or not. */
export type Class = abstract new (...args: never[]) => object

/** Receives the calls of generated methods; `dispatch` sets it. */
export type CallListener = (receiver: object, property: string, args: readonly unknown[]) => Promise<unknown>

interface SharedState {
  readonly classes: Map<object, ClassDeclaration>
  readonly slots: Map<string, unknown>
  call?: CallListener
}

/** On globalThis, so that two copies of this module (a bundler's, Jest's) know the same marked methods. */
const KEY = Symbol.for('typeorm-backgrounded/1')
const holder = globalThis as { [KEY]?: SharedState }
const state: SharedState = (holder[KEY] ??= { classes: new Map(), slots: new Map() })

/** The declaration of `target`, created on first use. */
export function declare(target: object): ClassDeclaration {
  let declaration = state.classes.get(target)
  if (!declaration) state.classes.set(target, (declaration = { methods: new Map(), statics: new Map() }))
  return declaration
}

export function declarationOf(target: object): ClassDeclaration | undefined {
  return state.classes.get(target)
}

export function declaredClasses(): Iterable<object> {
  return state.classes.keys()
}

/** The marked methods of `target`, its own and inherited ones; the most derived declaration wins. */
export function marksOf(target: Class): MethodDeclaration[] {
  const found = new Map<string, MethodDeclaration>()
  for (const ancestor of lineage(target)) {
    const declaration = state.classes.get(ancestor)
    if (!declaration) continue
    for (const mark of [...declaration.methods.values(), ...declaration.statics.values()]) {
      const id = `${mark.isStatic ? 'static' : ''} ${mark.property}`
      if (!found.has(id)) found.set(id, mark)
    }
  }
  return [...found.values()]
}

/** `target` and its ancestors, most derived first. */
export function* lineage(target: Class): Generator<Class> {
  for (
    let each: unknown = target;
    typeof each === 'function' && each !== Function.prototype;
    each = Object.getPrototypeOf(each)
  ) {
    yield each as Class
  }
}

export function setCallListener(listener: CallListener): void {
  state.call = listener
}

export function callListener(): CallListener {
  if (!state.call) throw new Error('typeorm-backgrounded is not loaded: import it before the first call.')
  return state.call
}

/** A value that all copies of this library in the process share. */
export function shared<T>(name: string, make: () => T): T {
  if (!state.slots.has(name)) state.slots.set(name, make())
  return state.slots.get(name) as T
}
