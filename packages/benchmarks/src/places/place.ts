/** Where one side works: data, so that it can be told to a child process. */
export interface Place {
  readonly postgres?: ServerPlace
  readonly mariadb?: ServerPlace
  readonly redis?: { readonly host: string; readonly port: number }
  readonly sqlite?: string
  /** Connections of the data source, and of every side that has a pool of its own. */
  readonly pool: number
  /** Nobody has created tables here yet. */
  readonly isBlank: boolean
}

export interface ServerPlace {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
}

export type Store = 'redis' | 'postgres' | 'mariadb' | 'sqlite'

/** A private place, which `dispose` removes. */
export interface PrivatePlace extends Place {
  readonly store: Store
  /** The Node that its processes run on. */
  readonly node: string
  isBlank: boolean
  /** Lets a database catch up with a large fill, so that it does not do so in the middle of a measurement. */
  letCatchUp(): Promise<void>
  dispose(): Promise<void>
}
