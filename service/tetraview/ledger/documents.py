"""The nouns as JSON documents in a column, and back."""

from __future__ import annotations

from pydantic import TypeAdapter

from tetraview.domain.delivery import ResultObject
from tetraview.domain.exam import Exam
from tetraview.domain.instance import Instance
from tetraview.domain.reading import Reading

instance_document = TypeAdapter(Instance)
exam_document = TypeAdapter(Exam)
reading_document = TypeAdapter(Reading)
result_document = TypeAdapter(ResultObject)
results_document = TypeAdapter(tuple[ResultObject, ...])
