// Whether a server has survived a soak, and if not, why.
import { restNames, type SoakRun } from './run.ts'
import { grows, inADay, longEnough, series, seriesNames, trendOf } from './series.ts'

/** What is wrong with a run; nothing, it is hoped. @param minutes how long it was meant to last */
export const faultsOf = (run: SoakRun, minutes: number): string[] => [
  ...faultyAnswers(run),
  ...(minutes < longEnough ? [] : growth(run)),
  ...unrest(run),
]

/** Among them each 5xx but a 503 with `Retry-After`, and each request without an answer. */
const faultyAnswers = ({ tally }: SoakRun) =>
  Object.entries(tally.faults).map(([fault, times]) => `${times} × ${fault}`)

const growth = ({ samples }: SoakRun) =>
  seriesNames.flatMap((name) => {
    const { title, unit, ...rest } = series[name]
    const trend = 'isJudged' in rest ? trendOf(samples, name) : undefined
    if (!trend || !grows(trend)) return []
    const [slope, error] = [trend.per_hour, trend.error].map((value) => value.toFixed(2))
    return [`${title} grows by ${slope} ± ${error} ${unit} an hour, ${(inADay(trend) * 100).toFixed(0)} % in a day`]
  })

const unrest = ({ before, after }: SoakRun) =>
  restNames.flatMap((name) =>
    (after[name] ?? 0) > (before[name] ?? 0)
      ? [`${series[name].title}: ${after[name]} after the traffic, ${before[name]} before`]
      : [],
  )
