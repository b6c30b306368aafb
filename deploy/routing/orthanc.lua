-- Sends the mammograms of each study to tetraview once they have all come, and again when another one comes.
-- Results that come back do not start it anew: what was sent is kept with the study.

local MODALITY = 'tetraview'     -- its name in "DicomModalities"
local METADATA = 'TetraviewSent' -- its name in "UserMetadata"
local REST = 'http://127.0.0.1:8042'
local FIRST_PAUSE, LONGEST_PAUSE = 5, 300 -- seconds between two tries
local MOST_TRIES = 300                     -- about a day

local tries = {}

local function mammograms(study)
  local found = {}
  for _, series in ipairs(ParseJson(RestApiGet('/studies/' .. study .. '/series', false))) do
    if series['MainDicomTags']['Modality'] == 'MG' then
      for _, instance in ipairs(series['Instances']) do
        table.insert(found, instance)
      end
    end
  end
  table.sort(found)
  return found
end

function OnStableStudy(study, _, metadata)
  local images = mammograms(study)
  local sent = table.concat(images, ',')
  if #images == 0 or sent == metadata[METADATA] then
    return
  end
  RestApiPut('/studies/' .. study .. '/metadata/' .. METADATA, sent, false)
  RestApiPost('/modalities/' .. MODALITY .. '/store', DumpJson({ Resources = images, Asynchronous = true }, true), false)
end

-- Orthanc does not try again by itself. The pause must not be made here, as no other script could run meanwhile; and what
-- makes it must not keep Orthanc's sockets open, or Orthanc could not be started again until it ends.
local CLOSE = 'for f in /proc/self/fd/*; do n=${f##*/}; [ $n -le 2 ] || eval "exec $n>&-"; done; '

local function again(job)
  tries[job] = (tries[job] or 0) + 1
  if tries[job] > MOST_TRIES then
    print('tetraview has not taken job ' .. job .. ' in a day: see its pages and `tetraview doctor`')
    return
  end
  local pause = math.min(FIRST_PAUSE * 2 ^ (tries[job] - 1), LONGEST_PAUSE)
  local resubmit = 'curl -s -X POST -d "" ' .. REST .. '/jobs/' .. job .. '/resubmit'
  os.execute("bash -c '" .. CLOSE .. 'sleep ' .. pause .. '; ' .. resubmit .. "' </dev/null >/dev/null 2>&1 &")
end

function OnJobFailure(job)
  if ParseJson(RestApiGet('/jobs/' .. job, false))['Type'] == 'DicomModalityStore' then
    again(job)
  end
end

function OnJobSuccess(job)
  tries[job] = nil
end

-- What had failed when Orthanc was stopped.
function Initialize()
  for _, job in ipairs(ParseJson(RestApiGet('/jobs?expand', false))) do
    if job['State'] == 'Failure' and job['Type'] == 'DicomModalityStore' then
      again(job['ID'])
    end
  end
end
